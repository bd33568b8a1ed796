# modes: standard
import time
start = time.perf_counter()
total = sum(range(1000))
elapsed = time.perf_counter() - start
print(total, elapsed >= 0, time.strftime("%Y", time.gmtime(0)), time.gmtime(86400).tm_mday)
time.sleep(0.001)
