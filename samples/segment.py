# SPDX-License-Identifier: Apache-2.0
# Puts what a model finds in a picture, a person for instance, on white ground:  segment.py MODEL.tern PICTURE OUT.png
import sys

import tern
from PIL import Image

picture = Image.open(sys.argv[2]).convert("RGB")
out = Image.new("RGB", picture.size, "white")
for d in tern.Vision(sys.argv[1])(picture):  # masks of things, or one of the whole picture
    out.paste(picture.crop(d.mask_box), d.mask_box, Image.fromarray(d.mask))
out.save(sys.argv[3])
