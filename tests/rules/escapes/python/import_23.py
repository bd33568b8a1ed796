# caught: static
import weakref as got
reached = got
