# modes: restricted standard
try:
    assert 1 == 2, "numbers differ"
except AssertionError as error:
    print(error)
