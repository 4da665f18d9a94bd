"""Labels of images and of what is made to look into one; that of the recipe is in layout.py."""

from containai.layout import LABEL

#: Of an image: the layer that it is, base for one.
LABEL_IMAGE = LABEL + "image"
#: Of an image: where its programs are from, upstream or distro.
LABEL_SOURCE = LABEL + "source"
#: Of a container that only lets an image be looked into, and never runs.
LABEL_LOOK = LABEL + "look"
