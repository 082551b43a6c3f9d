"""The door for pictures: whatever a user holds → an upright RGB photo of bounded size; and folder listings.

    opening     a file, bytes or stream → something that can be read, within limits
    formats     which format is it, by its first bytes; what its header asks for, before it is decoded
    decode      an opened file → upright RGB pixels
    quiet       no warnings meanwhile
    orientation the one EXIF tag that matters
    arrays      NumPy arrays and wide pixels (16-bit, float) → 8 bits
    photos      load_photo, as_photo: all of it together
    masks       a mask picture → what is painted in it
    folders     the pictures in a folder
    writing     pixels → picture files; pictures scaled

No file takes more than 1 GB of memory and 10 seconds: what would is refused by name.
"""

from spiralage.image_io.folders import SUFFIXES, list_pictures
from spiralage.image_io.formats import FORMATS, MAX_PIXELS
from spiralage.image_io.masks import load_mask
from spiralage.image_io.photos import STDIN, PhotoLike, as_photo, load_photo, photo_from_image, read_stdin_photo
from spiralage.image_io.writing import encode_picture, output_format, resized, save_picture

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "STDIN",
    "SUFFIXES",
    "PhotoLike",
    "as_photo",
    "encode_picture",
    "list_pictures",
    "load_mask",
    "load_photo",
    "output_format",
    "photo_from_image",
    "read_stdin_photo",
    "resized",
    "save_picture",
]
