/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VERSION_H
#define VERSION_H

#define CRIU_LAZY_VERSION "0.1.0"

/* The criu whose images, options and RPC these are: clients compare this one. */
#define CRIU_VERSION	   "4.2"
#define CRIU_VERSION_MAJOR 4
#define CRIU_VERSION_MINOR 2

#endif
