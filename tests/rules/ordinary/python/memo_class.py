# modes: restricted standard
class memoize:
    def __init__(self, function):
        self.function, self.cache, self.__name__ = function, {}, function.__name__
    def __call__(self, *args):
        if args not in self.cache:
            self.cache[args] = self.function(*args)
        return self.cache[args]
@memoize
def grid_paths(rows, columns):
    return 1 if 1 in (rows, columns) else grid_paths(rows - 1, columns) + grid_paths(rows, columns - 1)
print(grid_paths(10, 10), grid_paths.__name__)
