# modes: standard
import statistics as st
data = [2.5, 3.5, 4.0, 8.0]
print(st.mean(data), st.median(data), round(st.stdev(data), 4), st.mode([1, 1, 2]), st.quantiles(range(1, 9), n=4))
