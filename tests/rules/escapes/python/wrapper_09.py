# caught: static running
import functools
reached = vars(functools.lru_cache(type))["__subcl" + "asses__"](object)
