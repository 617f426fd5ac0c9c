"""Colours that people with any colour vision can distinguish (Okabe and Ito, 2008)."""

BLUE, ORANGE, GREEN, RED, SKY, PINK, YELLOW = (
    "#0072b2 #e69f00 #009e73 #d55e00 #56b4e9 #cc79a7 #f0e442".split()
)
GREY, LIGHT, DARK = "#999999", "#dddddd", "#333333"
CYCLE = (BLUE, ORANGE, GREEN, PINK, SKY, RED)
DEEP = {BLUE, GREEN, RED, DARK}  # on which white is read
MAP = "cividis"  # for values: the same to all in light and dark
