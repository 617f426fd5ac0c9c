"""Write the page of the parameters and the pictures."""

from docs.generate import parameters, pictures

parameters.PAGE.write_text(parameters.page(), "utf-8", newline="\n")
pictures.write()
