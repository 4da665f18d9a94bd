"""The images of boxes: their recipes, and how they are built where no registry has them."""
