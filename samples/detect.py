# SPDX-License-Identifier: Apache-2.0
# Finds objects in a picture, prints them and draws them:  detect.py MODEL.tern PICTURE OUT.png
import sys

import tern

found = tern.Vision(sys.argv[1])(sys.argv[2])
for d in found:
    print(f"{d.name} {d.score:.2f}", *map(round, d.box))
tern.draw(sys.argv[2], found).save(sys.argv[3])
