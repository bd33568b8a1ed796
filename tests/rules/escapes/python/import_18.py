# caught: static
import urllib.request as got
reached = got
