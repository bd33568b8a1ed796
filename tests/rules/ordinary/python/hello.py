# modes: restricted standard
print("hello, world")
