# modes: restricted standard
log = []
def run():
    try:
        try:
            raise KeyError("k")
        finally:
            log.append("inner")
    except KeyError:
        log.append("caught")
        return "value"
    finally:
        log.append("outer")
print(run(), log)
