# SPDX-License-Identifier: GPL-2.0
# make            build criu-lazy/criu-lazy
# make test       everything that scripts/test runs; make unit: pure logic only, no root
# Objects go to build/; sources are found by folder, so a new file needs no line here.

PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
DESTDIR ?=
CC = gcc
# make V=1 shows whole command lines.
Q := $(if $(V),,@)
# protoc-c alone works too, but newer ones warn of it.
PROTOC_C := $(if $(shell command -v protoc-gen-c),$(if $(shell command -v protoc),protoc,protoc-c),protoc-c)
ARCH := $(shell uname -m | sed 's/arm64/aarch64/')

PKGS := libprotobuf-c libnl-3.0 libnl-route-3.0 libcap libbsd liblz4
# Headers only: loaded at run time by what needs them (transport/tls_library.c).
LOADED_PKGS := gnutls
# Asked once; a missing package shows up as a missing header with its name.
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) $(LOADED_PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

WARN := -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
CFLAGS ?= -O2 -g
BASE_CFLAGS := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $(WARN) -fno-strict-aliasing
INCLUDES := -Icriu-lazy -Icompel/include -Icompel/arch/$(ARCH) -Icriu-lazy/arch/$(ARCH)
# What nothing is used of costs every command its loading.
LIBS := -Wl,--as-needed -lc $(PKG_LIBS) -lpthread -ldl

BIN := criu-lazy/criu-lazy
PROTOS := $(wildcard images/*.proto)

include scripts/build/sources.mk
include scripts/build/blobs.mk
include scripts/build/variants.mk
include scripts/build/victims.mk
include scripts/build/docs.mk
include scripts/build/lazy-tests.mk
include scripts/build/fuzz.mk

all: $(BIN)
.DEFAULT_GOAL := all

$(BIN): build/release/libcore.a build/release/criu-lazy/main.o
	@echo "  LINK    $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ build/release/criu-lazy/main.o $< $(LIBS)

# Small programs that show how compel is used.
EXAMPLES := $(patsubst compel/examples/%.c,build/examples/%,$(wildcard compel/examples/*.c))
examples: $(EXAMPLES)
build/examples/%: compel/examples/%.c build/release/libcore.a
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(INCLUDES) $(LDFLAGS) -o $@ $^ $(LIBS)

unit: $(UNIT_BINS) $(FUZZ_SMOKE)
	@scripts/build/run-unit $(UNIT_BINS) $(FUZZ_SMOKE)

test: all
	scripts/test

demo: all
	scripts/demo

bench: all
	test/bench/run --write $(if $(PEER),--peer $(PEER))

lint:
	scripts/lint

clean:
	rm -rf build $(BIN)

.PHONY: all examples unit test demo bench lint install uninstall clean
