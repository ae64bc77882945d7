# SPDX-License-Identifier: GPL-2.0
# Blobs: freestanding position-independent code, linked flat at address 0 with the entry
# first, checked to have no relocations left, then embedded as a byte array.
#
# A blob NAME is a folder criu-lazy/blob/NAME/ (or compel/blob/NAME/) of .c and .S files; code
# shared by blobs is criu-lazy/blob/common/. The entry is the function blob_entry. It becomes
# build/blob/NAME-blob.h: static const unsigned char NAME_blob[]; enum { NAME_blob_entry, ... }.

BLOB_DIRS := $(filter-out %/common/,$(wildcard criu-lazy/blob/*/ compel/blob/*/))
BLOB_NAMES := $(notdir $(BLOB_DIRS:%/=%))
BLOB_HDRS := $(BLOB_NAMES:%=build/blob/%-blob.h)

BLOB_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Os -g $(WARN) -ffreestanding -fpie -fno-stack-protector -fno-strict-aliasing \
	-fno-asynchronous-unwind-tables -fno-builtin -fcf-protection=none -fvisibility=hidden \
	-mno-red-zone -U_FORTIFY_SOURCE -ffunction-sections -Icriu-lazy -Icompel/include \
	-Icriu-lazy/arch/$(ARCH) -Icompel/arch/$(ARCH)
ifneq ($(ARCH),x86_64)
BLOB_CFLAGS := $(filter-out -mno-red-zone -fcf-protection=none,$(BLOB_CFLAGS))
endif

# A blob is one read-write-execute segment by design; linkers that warn of it are told so.
BLOB_LDFLAGS := $(shell ld --help 2>/dev/null | grep -q warn-rwx-segments && echo -Wl,--no-warn-rwx-segments)

define blob
$(1)_BLOB_SRCS := $$(wildcard criu-lazy/blob/$(1)/*.c compel/blob/$(1)/*.c criu-lazy/blob/common/*.c)
$(1)_BLOB_OBJS := $$($(1)_BLOB_SRCS:%.c=build/blob/$(1)/%.o)
build/blob/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	@echo "  BLOB    $$@"
	$$(Q)$$(CC) $$(BLOB_CFLAGS) -MMD -MP -c -o $$@ $$<
build/blob/$(1).elf: $$($(1)_BLOB_OBJS) scripts/build/blob.lds
	$$(Q)$$(CC) -nostdlib -static $$(BLOB_LDFLAGS) -Wl,--gc-sections,--build-id=none,-T,scripts/build/blob.lds,--no-dynamic-linker,-z,noexecstack -o $$@ $$($(1)_BLOB_OBJS)
build/blob/$(1)-blob.h: build/blob/$(1).elf scripts/build/embed-blob
	$$(Q)scripts/build/embed-blob $(1) $$< > $$@.tmp && mv $$@.tmp $$@
-include $$($(1)_BLOB_OBJS:.o=.d)
endef
$(foreach name,$(BLOB_NAMES),$(eval $(call blob,$(name))))
