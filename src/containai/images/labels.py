"""Labels of images and of what is made to look into one; that of the recipe is in layout.py."""

from containai.layout import LABEL

#: The name of an image, and where its programs are from.
LABEL_IMAGE = LABEL + "image"
LABEL_SOURCE = LABEL + "source"
#: Of a container that only lets an image be looked into, and never runs.
LABEL_LOOK = LABEL + "look"
