# modes: restricted standard
class ConfigError(Exception):
    def __init__(self, key, message="missing"):
        super().__init__(f"{key}: {message}")
        self.key = key
try:
    try:
        {}["port"]
    except KeyError as error:
        raise ConfigError("port") from error
except ConfigError as error:
    print(error, error.key, type(error.__cause__).__name__, error.args)
