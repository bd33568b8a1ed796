# caught: static
import os as got
reached = got
