/* SPDX-License-Identifier: GPL-2.0 */
/* CRC-32C (Castagnoli), the checksum of iSCSI and ext4: RFC 3720, appendix B.4. */
#ifndef TRANSPORT_CRC32C_H
#define TRANSPORT_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of data that follows what gave `crc`; 0 to begin with. Any thread. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The same by table, for processors without an instruction and for tests. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);
/* arch/: by instruction. False: this processor has none. */
bool crc32c_arch(uint32_t crc, const void *data, size_t len, uint32_t *out);

#endif
