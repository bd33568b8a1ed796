# caught: static
from os.path import join as reached
