# modes: restricted standard
def averager():
    total = count = 0
    average = None
    while True:
        value = yield average
        total, count = total + value, count + 1
        average = total / count
average = averager()
next(average)
print([average.send(value) for value in (10, 20, 60)])
average.close()
