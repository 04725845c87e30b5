"""The files of a tree by what they define and mention, and what an answer rests on of them."""
