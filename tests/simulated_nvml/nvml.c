/* A libnvidia-ml.so.1 for tests: the real binding loads it and cannot tell the difference.
 *
 * It is written against NVIDIA's own header, so the compiler checks every signature and the layout of
 * every struct is the real one. What the GPUs are and how they fail is told by control.h. Not thread-safe:
 * the agent calls the driver from one thread.
 */
#define NVML_NO_UNVERSIONED_FUNC_DEFS
#include <nvml.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "control.h"

#define GIB (1024ULL * 1024 * 1024)
#define RESERVED (GIB / 2)
#define CONTEXT_MEMORY GIB

struct nvmlDevice_st {
    char unused; /* a device is known by its address */
};

static struct nvmlDevice_st devices[MAX_DEVICES];
static struct { int registered[MAX_DEVICES]; } event_set;
static int references;
static long generation;
static int xids_delivered;

/* What a call does before it answers: costs time, hangs, fails. `rule` is left for its value. */
static nvmlReturn_t enter(const char *function, int device, const struct rule **rule)
{
    const struct control *control = control_now();
    *rule = control->rules ? control_rule(control, function, device) : NULL;
    if (control->latency_us)
        control_sleep_us(control->latency_us);
    if (*rule && (*rule)->hang_ms)
        control_sleep_us((*rule)->hang_ms * 1000);
    if (!references || generation != control->generation)
        return NVML_ERROR_UNINITIALIZED;
    if (*rule && (*rule)->has_code)
        return (nvmlReturn_t)(*rule)->code;
    if (device < 0)
        return NVML_SUCCESS;
    if (device >= control->devices)
        return NVML_ERROR_INVALID_ARGUMENT;
    return control->lost[device] ? NVML_ERROR_GPU_IS_LOST : NVML_SUCCESS;
}

static int index_of(nvmlDevice_t device)
{
    return device ? (int)(device - devices) : MAX_DEVICES;
}

#define ENTER(function, device)                                                                   \
    const struct rule *rule;                                                                      \
    nvmlReturn_t entered = enter(function, device, &rule);                                        \
    if (entered != NVML_SUCCESS)                                                                  \
        return entered;

#define NUMBER(fallback) (rule && rule->has_value ? rule->value : (double)(fallback))

/* Numbers as C converts them for an unsigned: -1 becomes all bits set, as the driver's own sentinel. */
static unsigned int u32(double number)
{
    return (unsigned int)(long long)number;
}

static nvmlReturn_t give_text(char *to, unsigned int size, const struct rule *rule, const char *text)
{
    const char *from = rule && rule->has_text ? rule->text : text;
    if (strlen(from) >= size)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    strcpy(to, from);
    return NVML_SUCCESS;
}

/* ---- the node ---------------------------------------------------------------------------------- */

nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    const struct control *control = control_now();
    (void)flags;
    if (control->init_code)
        return (nvmlReturn_t)control->init_code;
    if (generation != control->generation)
        references = 0;
    generation = control->generation;
    if (!references++)
        xids_delivered = control->xids; /* an event set hears only of what happens from now on */
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown(void)
{
    if (!references)
        return NVML_ERROR_UNINITIALIZED;
    references--;
    return NVML_SUCCESS;
}

const char *nvmlErrorString(nvmlReturn_t result)
{
    return result == NVML_ERROR_NO_DATA ? "No data" : "Some error";
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    ENTER("nvmlSystemGetDriverVersion", -1)
    return give_text(version, length, rule, control_now()->driver);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    ENTER("nvmlSystemGetCudaDriverVersion", -1)
    *version = control_now()->cuda;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
    const struct control *control = control_now();
    ENTER("nvmlSystemGetProcessName", -1)
    for (int i = 0; i < control->processes; i++)
        if (control->process[i].pid == pid && control->process[i].name[0])
            return give_text(name, length, rule, control->process[i].name);
    return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    ENTER("nvmlDeviceGetCount", -1)
    *count = (unsigned int)control_now()->devices;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    ENTER("nvmlDeviceGetHandleByIndex", (int)index)
    *device = &devices[index];
    return NVML_SUCCESS;
}

/* ---- one value of one device: a table -------------------------------------------------------- */

#define TEXT(function, format, argument)                                                          \
    nvmlReturn_t function(nvmlDevice_t device, char *text, unsigned int length)                   \
    {                                                                                             \
        char made[96];                                                                            \
        int i = index_of(device);                                                                 \
        (void)i;                                                                                  \
        ENTER(#function, i)                                                                       \
        snprintf(made, sizeof made, format, argument);                                            \
        return give_text(text, length, rule, made);                                               \
    }

#define UNSIGNED(function, fallback)                                                              \
    nvmlReturn_t function(nvmlDevice_t device, unsigned int *value)                               \
    {                                                                                             \
        int i = index_of(device);                                                                 \
        (void)i;                                                                                  \
        ENTER(#function, i)                                                                       \
        *value = u32(NUMBER(fallback));                                                           \
        return NVML_SUCCESS;                                                                      \
    }

#define MASK(function, fallback)                                                                  \
    nvmlReturn_t function(nvmlDevice_t device, unsigned long long *value)                         \
    {                                                                                             \
        int i = index_of(device);                                                                 \
        (void)i;                                                                                  \
        ENTER(#function, i)                                                                       \
        *value = rule && rule->has_value ? (unsigned long long)rule->value : (fallback);          \
        return NVML_SUCCESS;                                                                      \
    }

#define CHOICE(function, type, last, ...)                                                         \
    nvmlReturn_t function(nvmlDevice_t device, type which, unsigned int *value)                   \
    {                                                                                             \
        static const unsigned int made[] = {__VA_ARGS__};                                         \
        ENTER(#function, index_of(device))                                                        \
        if ((unsigned int)which > (last))                                                         \
            return NVML_ERROR_INVALID_ARGUMENT;                                                   \
        *value = u32(NUMBER(made[which]));                                                        \
        return NVML_SUCCESS;                                                                      \
    }

#define PERIODIC(function, fallback)                                                              \
    nvmlReturn_t function(nvmlDevice_t device, unsigned int *value, unsigned int *period)         \
    {                                                                                             \
        ENTER(#function, index_of(device))                                                        \
        *value = u32(NUMBER(fallback));                                                           \
        *period = 167000;                                                                         \
        return NVML_SUCCESS;                                                                      \
    }

TEXT(nvmlDeviceGetUUID, "GPU-00000000-0000-0000-0000-%012d", i)
TEXT(nvmlDeviceGetName, "NVIDIA H100 80GB HBM%d", 3)
TEXT(nvmlDeviceGetSerial, "16500230%05d", i)
TEXT(nvmlDeviceGetVbiosVersion, "96.00.89.00.%02X", 1)
UNSIGNED(nvmlDeviceGetPowerUsage, 300000 + 1000 * i)
UNSIGNED(nvmlDeviceGetEnforcedPowerLimit, 700000)
UNSIGNED(nvmlDeviceGetCurrPcieLinkGeneration, 5)
UNSIGNED(nvmlDeviceGetMaxPcieLinkGeneration, 5)
UNSIGNED(nvmlDeviceGetCurrPcieLinkWidth, 16)
UNSIGNED(nvmlDeviceGetMaxPcieLinkWidth, 16)
MASK(nvmlDeviceGetTotalEnergyConsumption, 1000000ULL * (unsigned long long)(i + 1))
MASK(nvmlDeviceGetCurrentClocksEventReasons, 4ULL)
MASK(nvmlDeviceGetCurrentClocksThrottleReasons, 8ULL)
MASK(nvmlDeviceGetSupportedClocksEventReasons, 0x1FFULL)
MASK(nvmlDeviceGetSupportedClocksThrottleReasons, 0x1FFULL)
CHOICE(nvmlDeviceGetClockInfo, nvmlClockType_t, 3, 1755, 1755, 2619, 1545)
CHOICE(nvmlDeviceGetMaxClockInfo, nvmlClockType_t, 3, 1980, 1980, 2619, 1545)
CHOICE(nvmlDeviceGetTemperatureThreshold, nvmlTemperatureThresholds_t, 3, 92, 89, 95, 87)
PERIODIC(nvmlDeviceGetEncoderUtilization, 12)
PERIODIC(nvmlDeviceGetDecoderUtilization, 34)

nvmlReturn_t nvmlDeviceGetPerformanceState(nvmlDevice_t device, nvmlPstates_t *state)
{
    ENTER("nvmlDeviceGetPerformanceState", index_of(device))
    *state = (nvmlPstates_t)NUMBER(0);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    int i = index_of(device);
    ENTER("nvmlDeviceGetPciInfo", i)
    memset(pci, 0, sizeof *pci);
    pci->bus = (unsigned int)(0x1B + i);
    snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, "0000:%02X:00.0", pci->bus);
    snprintf(pci->busId, sizeof pci->busId, "00000000:%02X:00.0", pci->bus);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)
{
    ENTER("nvmlDeviceGetUtilizationRates", index_of(device))
    utilization->gpu = u32(NUMBER(97));
    utilization->memory = u32(NUMBER(41));
    return NVML_SUCCESS;
}

/* ---- temperature ------------------------------------------------------------------------------- */

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensor,
                                      unsigned int *temperature)
{
    int i = index_of(device);
    ENTER("nvmlDeviceGetTemperature", i)
    if (sensor != NVML_TEMPERATURE_GPU)
        return NVML_ERROR_INVALID_ARGUMENT;
    *temperature = u32(NUMBER(40 + i));
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *temperature)
{
    int i = index_of(device);
    ENTER("nvmlDeviceGetTemperatureV", i)
    if (temperature->version != nvmlTemperature_v1)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    temperature->temperature = (int)NUMBER(50 + i);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t device, nvmlMarginTemperature_t *margin)
{
    int i = index_of(device);
    ENTER("nvmlDeviceGetMarginTemperature", i)
    if (margin->version != nvmlMarginTemperature_v1)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    margin->marginTemperature = (int)NUMBER(37 - i);
    return NVML_SUCCESS;
}

/* ---- memory and processes ---------------------------------------------------------------------- */

static unsigned long long free_memory(unsigned long long used)
{
    return used + RESERVED < 80 * GIB ? 80 * GIB - used - RESERVED : 0;
}

static unsigned long long used_memory(int device)
{
    const struct control *control = control_now();
    unsigned long long used = CONTEXT_MEMORY;
    for (int i = 0; i < control->processes; i++)
        if (control->process[i].device == device && control->process[i].bytes > 0)
            used += (unsigned long long)control->process[i].bytes;
    return used;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    int i = index_of(device);
    ENTER("nvmlDeviceGetMemoryInfo", i)
    memory->total = 80 * GIB;
    memory->used = (unsigned long long)NUMBER(used_memory(i) + RESERVED);
    memory->free = free_memory(used_memory(i));
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    int i = index_of(device);
    ENTER("nvmlDeviceGetMemoryInfo_v2", i)
    if (memory->version != nvmlMemory_v2)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    memory->total = 80 * GIB;
    memory->reserved = RESERVED;
    memory->used = (unsigned long long)NUMBER(used_memory(i));
    memory->free = free_memory(used_memory(i));
    return NVML_SUCCESS;
}

static nvmlReturn_t list_processes(const char *function, nvmlDevice_t device, bool graphics,
                                   unsigned int *count, nvmlProcessInfo_t *infos)
{
    const struct control *control = control_now();
    unsigned int found = 0, room = infos ? *count : 0;
    ENTER(function, index_of(device))
    for (int i = 0; i < control->processes; i++) {
        const struct process *process = &control->process[i];
        if (process->device != index_of(device) || process->graphics != graphics)
            continue;
        if (found < room)
            infos[found] = (nvmlProcessInfo_t){process->pid, (unsigned long long)process->bytes,
                                               0xFFFFFFFF, 0xFFFFFFFF};
        found++;
    }
    *count = found;
    return found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

#define PROCESSES(function, version, graphics)                                                    \
    nvmlReturn_t function##version(nvmlDevice_t device, unsigned int *count,                      \
                                   nvmlProcessInfo_t *infos)                                      \
    {                                                                                             \
        return list_processes(#function, device, graphics, count, infos);                         \
    }

PROCESSES(nvmlDeviceGetComputeRunningProcesses, _v3, false)
PROCESSES(nvmlDeviceGetComputeRunningProcesses, _v2, false)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, _v3, true)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, _v2, true)

/* ---- field values ------------------------------------------------------------------------------ */

struct field {
    unsigned int number;
    nvmlValueType_t type;
    double base, per_device;
};

static const struct field fields[] = {
    {NVML_FI_DEV_MEMORY_TEMP, NVML_VALUE_TYPE_UNSIGNED_INT, 60, 1},
    {NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, NVML_VALUE_TYPE_UNSIGNED_LONG_LONG, 2e9, 1e6},
};

static void set_value(nvmlValue_t *value, nvmlValueType_t type, double number)
{
    memset(value, 0xA5, sizeof *value); /* what is not set is not to be believed */
    switch (type) {
    case NVML_VALUE_TYPE_DOUBLE: value->dVal = number; break;
    case NVML_VALUE_TYPE_UNSIGNED_INT: value->uiVal = u32(number); break;
    case NVML_VALUE_TYPE_UNSIGNED_LONG: value->ulVal = (unsigned long)number; break;
    case NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: value->ullVal = (unsigned long long)number; break;
    case NVML_VALUE_TYPE_SIGNED_LONG_LONG: value->sllVal = (signed long long)number; break;
    case NVML_VALUE_TYPE_SIGNED_INT: value->siVal = (int)number; break;
    case NVML_VALUE_TYPE_UNSIGNED_SHORT: value->usVal = (unsigned short)number; break;
    default: break;
    }
}

static void answer_field(int device, nvmlFieldValue_t *asked)
{
    char name[32];
    const struct rule *rule;
    snprintf(name, sizeof name, "field:%u", asked->fieldId);
    memset(&asked->value, 0xA5, sizeof asked->value);
    asked->nvmlReturn = enter(name, device, &rule);
    if (asked->nvmlReturn != NVML_SUCCESS)
        return;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].number != asked->fieldId)
            continue;
        bool told = rule && rule->has_value;
        asked->valueType = told ? (nvmlValueType_t)rule->type : fields[i].type;
        set_value(&asked->value, asked->valueType,
                  told ? rule->value : fields[i].base + fields[i].per_device * device);
        return;
    }
    asked->nvmlReturn = NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values)
{
    ENTER("nvmlDeviceGetFieldValues", index_of(device))
    for (int i = 0; i < count; i++)
        answer_field(index_of(device), &values[i]);
    return NVML_SUCCESS;
}

/* ---- events ------------------------------------------------------------------------------------ */

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
    ENTER("nvmlEventSetCreate", -1)
    memset(&event_set, 0, sizeof event_set);
    *set = (nvmlEventSet_t)&event_set;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    (void)set;
    ENTER("nvmlEventSetFree", -1)
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types,
                                      nvmlEventSet_t set)
{
    (void)set;
    ENTER("nvmlDeviceRegisterEvents", index_of(device))
    event_set.registered[index_of(device)] = (types & nvmlEventTypeXidCriticalError) != 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeout)
{
    const struct control *control = control_now();
    (void)set;
    (void)timeout;
    ENTER("nvmlEventSetWait", -1)
    while (xids_delivered < control->xids) {
        const struct xid *xid = &control->xid[xids_delivered++];
        if (xid->device >= 0 && !event_set.registered[xid->device])
            continue;
        memset(data, 0, sizeof *data);
        data->device = xid->device < 0 ? NULL : &devices[xid->device];
        data->eventType = nvmlEventTypeXidCriticalError;
        data->eventData = xid->code;
        data->gpuInstanceId = data->computeInstanceId = 0xFFFFFFFF;
        return NVML_SUCCESS;
    }
    return NVML_ERROR_TIMEOUT;
}
