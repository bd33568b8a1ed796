# caught: static
import signal as got
reached = got
