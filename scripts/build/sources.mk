# SPDX-License-Identifier: GPL-2.0
# What is built from where. blob/ is freestanding and built apart (blobs.mk).

COMPEL_SRCS := $(wildcard compel/src/*.c) $(wildcard compel/arch/$(ARCH)/*.c) \
	$(wildcard compel/arch/$(ARCH)/*.S)
CORE_SRCS := $(filter-out criu-lazy/blob/% criu-lazy/arch/%, \
	$(wildcard criu-lazy/*/*.c criu-lazy/*/*/*.c)) \
	$(wildcard criu-lazy/arch/$(ARCH)/*.c)
PROTO_SRCS := $(PROTOS:images/%.proto=build/proto/%.pb-c.c)
UNIT_SRCS := $(wildcard test/unit/*.c)
UNIT_BINS := $(UNIT_SRCS:test/unit/%.c=build/sanitize/unit/%)

build/proto/%.pb-c.c build/proto/%.pb-c.h: images/%.proto
	@mkdir -p build/proto
	@echo "  PROTO   $<"
	$(Q)$(PROTOC_C) --proto_path=images --c_out=build/proto $<

PROTO_HDRS := $(PROTO_SRCS:.c=.h)

# Generated sources stay: make would else delete them as intermediate.
.SECONDARY: $(PROTO_SRCS) $(PROTO_HDRS)
