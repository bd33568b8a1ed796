# caught: static
from os import *
reached = getcwd()
