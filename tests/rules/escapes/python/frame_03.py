# caught: static
async def c():
    pass
x = c()
reached = x.cr_frame
x.close()
