# modes: restricted standard
def main():
    print("runs as a program")
if __name__ == "__main__":
    main()
