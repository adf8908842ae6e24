# SPDX-License-Identifier: Apache-2.0
# The `tern` command: on the public headers, with pictures from samples/image.h and src/image.
