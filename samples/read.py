# SPDX-License-Identifier: Apache-2.0
# Reads the text of a picture and frames it:  read.py DETECTION.tern RECOGNITION.tern [DIRECTION.tern] PICTURE OUT.png
import sys

import tern

found = tern.Vision(*sys.argv[1:-2])(sys.argv[-2])
for d in found:
    print(f"{d.score:.2f} {d.text}")
tern.draw(sys.argv[-2], found).save(sys.argv[-1])
