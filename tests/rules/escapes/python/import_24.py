# caught: static
from os import system as reached
