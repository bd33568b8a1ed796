# caught: static running
from operator import methodcaller
reached = methodcaller("__subcl" + "asses__")(int)
