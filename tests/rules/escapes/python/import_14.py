# caught: static
import shutil as got
reached = got
