// SPDX-License-Identifier: GPL-2.0
/* The vDSO of this very process, patched against itself and damaged in many ways. */
#include "restore/vdso_patch.h"

#include <string.h>
#include <sys/auxv.h>

#include "unit.h"

enum { SIZE = 8192 };

int main(void)
{
	const uint8_t *own = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	uint8_t *image = malloc(SIZE);
	char missing[64] = "";
	size_t changed = 0;

	if (!own) {
		free(image);
		return 0;
	}
	memcpy(image, own, SIZE);
	check_eq(vdso_patch(image, SIZE, own, SIZE, 0x123456789000, missing), 0);
	for (size_t i = 0; i < SIZE; i++)
		changed += image[i] != own[i];
	check(changed > 20 && changed < 1024);

	check(vdso_patch(image, 10, own, SIZE, 0x1000, missing) < 0);
	memset(image, 0, SIZE);
	check(vdso_patch(image, SIZE, own, SIZE, 0x1000, missing) < 0);
	/* Whatever a byte of the head becomes, nothing outside is touched (ASan looks). */
	for (size_t at = 0; at < 2048; at++) {
		memcpy(image, own, SIZE);
		image[at] ^= 0xff;
		vdso_patch(image, SIZE, own, SIZE, 0x1000, missing);
	}
	for (size_t size = 0; size < SIZE; size += 61) {
		uint8_t *cut = malloc(size ? size : 1);

		memcpy(cut, own, size);
		vdso_patch(cut, size, own, SIZE, 0x1000, missing);
		free(cut);
	}
	free(image);
	return 0;
}
