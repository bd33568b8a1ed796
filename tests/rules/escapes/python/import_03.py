# caught: static
import subprocess as got
reached = got
