# caught: static
import http.client as got
reached = got
