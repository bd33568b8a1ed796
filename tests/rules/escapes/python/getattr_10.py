# caught: static running
import json
reached = list(map(lambda n: getattr(json, n), ["cod" + "ecs"]))
