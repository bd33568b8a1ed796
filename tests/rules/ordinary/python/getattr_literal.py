# modes: restricted standard
class Config:
    debug = True
config = Config()
setattr(config, "level", 3)
print(getattr(config, "debug"), getattr(config, "missing", None), config.level, hasattr(config, "level"))
delattr(config, "level")
print(hasattr(config, "level"))
