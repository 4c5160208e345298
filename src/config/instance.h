/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `networks:` of a Lima instance (lima.yaml): which vmlan networks a VM is to be on, and with
 * which MAC addresses. As Lima does, refuses an entry that names more than one of lima, socket,
 * vzNAT and vmnet.
 */
#pragma once

#include "config/spec.h"

struct instance_network {
    char *network;   /* the entry's vmnet: */
    uint8_t mac[6];  /* macAddress:, or derived as Lima derives it (limayaml.MACAddress) */
    char *interface; /* interface:, or lima0, lima1, … by index; the guest's business */
};

struct instance {
    struct instance_network *networks; /* the vmnet entries, in order; others are Lima's business */
    size_t count;
};

int instance_load(const char *path, struct instance *ret, struct faults *faults);
int instance_parse(const char *text, size_t size, const char *path, struct instance *ret,
                   struct faults *faults);
void instance_done(struct instance *instance);
static inline void own_instance(struct instance *instance)
{
    instance_done(instance);
}

/* 52:55:55 and the first three bytes of SHA-256(machine id + unique id): Lima's
 * limayaml.MACAddress, pkg/limayaml/defaults.go. */
void instance_mac(const char *unique_id, uint8_t ret_mac[6]);
/* SHA-256 over machine id (trimmed /etc/machine-id, else /var/lib/dbus/machine-id, else host name)
 * and text: the source of everything that is to be stable for this machine. */
void machine_digest(const char *text, uint8_t ret_digest[32]);
