/* SPDX-License-Identifier: Apache-2.0 */
/* See capabilities.h. */
#include "kernel/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

bool capabilities_have(unsigned capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct have[2] = {0};

    return syscall(SYS_capget, &header, have) == 0 &&
           (have[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability));
}

int capabilities_drop(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};

    return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}
