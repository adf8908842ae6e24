# SPDX-License-Identifier: Apache-2.0
# Small programs on the public headers.
