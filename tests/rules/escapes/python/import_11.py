# caught: static
import threading as got
reached = got
