# caught: static
@(lambda f: f.__globals__)
def reached():
    pass
