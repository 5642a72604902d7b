/* Limits, memory errors, modes and the fabric: one function each, of the older or the rarer kind. */
#include "simulated.h"

#include <stddef.h>

_Static_assert(offsetof(nvmlGpuFabricInfo_v3_t, state) == 28, "place of the state");
_Static_assert(offsetof(nvmlGpuFabricInfo_v3_t, healthMask) == 32, "place of the health mask");
_Static_assert(sizeof(nvmlGpuFabricInfo_v2_t) == 36, "size of nvmlGpuFabricInfo_v2_t");
_Static_assert(sizeof(nvmlGpuFabricInfo_v3_t) == 40, "size of nvmlGpuFabricInfo_v3_t");
_Static_assert(sizeof(nvmlEccSramErrorStatus_v1_t) == 104, "size of nvmlEccSramErrorStatus_v1_t");

#define UNSIGNED(function, type, fallback)                                                        \
    nvmlReturn_t function(nvmlDevice_t device, type *value)                                       \
    {                                                                                             \
        ENTER(#function, index_of(device))                                                        \
        *value = (type)u32(NUMBER(fallback));                                                     \
        return NVML_SUCCESS;                                                                      \
    }

/* A rule's value is for the first of the two. */
#define PAIR(function, type, one, other)                                                          \
    nvmlReturn_t function(nvmlDevice_t device, type *first, type *second)                         \
    {                                                                                             \
        ENTER(#function, index_of(device))                                                        \
        *first = (type)u32(NUMBER(one));                                                          \
        *second = (type)(other);                                                                  \
        return NVML_SUCCESS;                                                                      \
    }

UNSIGNED(nvmlDeviceGetNumFans, unsigned int, 2)
UNSIGNED(nvmlDeviceGetFanSpeed, unsigned int, 33)
UNSIGNED(nvmlDeviceGetPowerManagementDefaultLimit, unsigned int, 700000)
UNSIGNED(nvmlDeviceGetPcieReplayCounter, unsigned int, 9)
UNSIGNED(nvmlDeviceGetPersistenceMode, nvmlEnableState_t, 1)
UNSIGNED(nvmlDeviceGetComputeMode, nvmlComputeMode_t, NVML_COMPUTEMODE_EXCLUSIVE_PROCESS)
UNSIGNED(nvmlDeviceGetRetiredPagesPendingStatus, nvmlEnableState_t, 1)
PAIR(nvmlDeviceGetPowerManagementLimitConstraints, unsigned int, 200000, 700000)
PAIR(nvmlDeviceGetJpgUtilization, unsigned int, 21, 167000)
PAIR(nvmlDeviceGetOfaUtilization, unsigned int, 22, 167000)
PAIR(nvmlDeviceGetEccMode, nvmlEnableState_t, 1, 0)

nvmlReturn_t nvmlDeviceGetInforomImageVersion(nvmlDevice_t device, char *version, unsigned int length)
{
    ENTER("nvmlDeviceGetInforomImageVersion", index_of(device))
    return give_text(version, length, rule, "G520.0200.00.05");
}

nvmlReturn_t nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned int fan, unsigned int *speed)
{
    ENTER_CHOICE("nvmlDeviceGetFanSpeed", (long)fan, index_of(device))
    *speed = u32(NUMBER(30 + fan));
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *memory)
{
    ENTER("nvmlDeviceGetBAR1MemoryInfo", index_of(device))
    memory->bar1Total = 128 * GIB;
    memory->bar1Used = u64(NUMBER(3 * GIB));
    memory->bar1Free = memory->bar1Total - memory->bar1Used;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetViolationStatus(nvmlDevice_t device, nvmlPerfPolicyType_t policy,
                                          nvmlViolationTime_t *violation)
{
    ENTER_CHOICE("nvmlDeviceGetViolationStatus", (long)policy, index_of(device))
    if (policy > NVML_PERF_POLICY_RELIABILITY)
        return NVML_ERROR_INVALID_ARGUMENT;
    violation->referenceTime = 1;
    violation->violationTime = u64(NUMBER(1e9 * (policy + 1)));
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, nvmlPcieUtilCounter_t counter,
                                         unsigned int *value)
{
    ENTER_CHOICE("nvmlDeviceGetPcieThroughput", (long)counter, index_of(device))
    control_sleep_us(20000); /* it watches the link for so long */
    *value = u32(NUMBER(1000 * (counter + 1)));
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned int link, nvmlEnableState_t *state)
{
    ENTER_CHOICE("nvmlDeviceGetNvLinkState", (long)link, index_of(device))
    if ((int)link >= model_of(index_of(device))->links)
        return NVML_ERROR_INVALID_ARGUMENT;
    *state = (nvmlEnableState_t)u32(NUMBER(1));
    return NVML_SUCCESS;
}

/* ---- memory errors ----------------------------------------------------------------------------- */

nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, nvmlMemoryErrorType_t error,
                                             nvmlEccCounterType_t counter,
                                             nvmlMemoryLocation_t location, unsigned long long *count)
{
    const char *name = "nvmlDeviceGetMemoryErrorCounter"; /* rules choose by the location alone */
    const struct rule *rule;
    note_call(name, (long)(100 * location + 10 * counter + error), index_of(device));
    nvmlReturn_t entered = enter_choice(name, (long)location, index_of(device), &rule);
    if (entered != NVML_SUCCESS)
        return entered;
    if (location >= NVML_MEMORY_LOCATION_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = u64(NUMBER(100 * location + 10 * counter + error));
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetSramEccErrorStatus(nvmlDevice_t device, nvmlEccSramErrorStatus_t *status)
{
    ENTER("nvmlDeviceGetSramEccErrorStatus", index_of(device))
    if (status->version != nvmlEccSramErrorStatus_v1)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    memset((char *)status + sizeof status->version, 0, sizeof *status - sizeof status->version);
    status->bThresholdExceeded = u32(NUMBER(0));
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetRetiredPages(nvmlDevice_t device, nvmlPageRetirementCause_t cause,
                                       unsigned int *count, unsigned long long *addresses)
{
    ENTER_CHOICE("nvmlDeviceGetRetiredPages", (long)cause, index_of(device))
    unsigned int found = u32(NUMBER(cause + 5)), room = addresses ? *count : 0;
    *count = found;
    for (unsigned int i = 0; i < found && i < room; i++)
        addresses[i] = 4096ULL * i;
    return found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned int *corrected,
                                       unsigned int *uncorrected, unsigned int *pending,
                                       unsigned int *failed)
{
    ENTER("nvmlDeviceGetRemappedRows", index_of(device))
    *corrected = u32(NUMBER(6));
    *uncorrected = 2;
    *pending = 1;
    *failed = 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetRowRemapperHistogram(nvmlDevice_t device,
                                               nvmlRowRemapperHistogramValues_t *values)
{
    ENTER("nvmlDeviceGetRowRemapperHistogram", index_of(device))
    *values = (nvmlRowRemapperHistogramValues_t){u32(NUMBER(637)), 2, 1, 0, 0};
    return NVML_SUCCESS;
}

/* ---- fabric ------------------------------------------------------------------------------------ */

/* A rule's value is the state; `nvmlDeviceGetGpuFabricInfo:status` and `...:health` are the others. */
static unsigned int fabric_part(const char *part, int device, double fallback)
{
    char name[64];
    snprintf(name, sizeof name, "nvmlDeviceGetGpuFabricInfo:%s", part);
    const struct rule *rule = control_rule(control_now(), name, device);
    return u32(rule && rule->has_value ? rule->value : fallback);
}

#define HEALTHY_MASK 0x1AA /* no fault of all that can be told, and a correct configuration */

nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t device, nvmlGpuFabricInfoV_t *info)
{
    int i = index_of(device);
    unsigned int version = info->version;
    ENTER("nvmlDeviceGetGpuFabricInfoV", i)
    if (version != nvmlGpuFabricInfo_v3 && version != nvmlGpuFabricInfo_v2)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    bool newest = version == nvmlGpuFabricInfo_v3;
    memset(info, 0xA5, newest ? sizeof(nvmlGpuFabricInfo_v3_t) : sizeof(nvmlGpuFabricInfo_v2_t));
    info->version = version;
    info->status = (nvmlReturn_t)fabric_part("status", i, NVML_SUCCESS);
    info->cliqueId = 1;
    info->state = (nvmlGpuFabricState_t)u32(NUMBER(NVML_GPU_FABRIC_STATE_COMPLETED));
    info->healthMask = fabric_part("health", i, HEALTHY_MASK);
    if (newest)
        info->healthSummary = (unsigned char)fabric_part("summary", i, 1);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t device, nvmlGpuFabricInfo_t *info)
{
    int i = index_of(device);
    ENTER("nvmlDeviceGetGpuFabricInfo", i)
    memset(info, 0xA5, sizeof *info);
    info->status = (nvmlReturn_t)fabric_part("status", i, NVML_SUCCESS);
    info->state = (nvmlGpuFabricState_t)u32(NUMBER(NVML_GPU_FABRIC_STATE_IN_PROGRESS));
    return NVML_SUCCESS;
}
