# modes: restricted standard
class Managed:
    def __enter__(self):
        print("enter")
        return self
    def __exit__(self, kind, error, trace):
        print("exit", kind.__name__ if kind else None)
        return kind is ValueError
with Managed():
    print("inside")
with Managed():
    raise ValueError("swallowed")
print("after")
