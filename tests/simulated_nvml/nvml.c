/* A libnvidia-ml.so.1 for tests: the real binding loads it and cannot tell the difference.
 *
 * It is written against NVIDIA's own header, so the compiler checks every signature and the layout of
 * every struct is the real one. What the GPUs are and how they fail is told by control.h. Not thread-safe:
 * the agent calls the driver from one thread.
 */
#include "simulated.h"
#include "mig.h"

#define RESERVED (GIB / 2)
#define CONTEXT_MEMORY GIB

static struct nvmlDevice_st devices[MAX_DEVICES];
static struct { unsigned long long registered[MAX_DEVICES]; } event_set;
static int references;
static long generation;
static int xids_delivered;

int index_of(nvmlDevice_t device)
{
    return device ? (int)(device - devices) : MAX_DEVICES;
}

bool control_alive(void)
{
    return references && generation == control_now()->generation;
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
    account_users(references);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown(void)
{
    if (!references)
        return NVML_ERROR_UNINITIALIZED;
    account_users(--references);
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

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version)
{
    ENTER("nvmlSystemGetCudaDriverVersion", -1)
    *version = control_now()->cuda;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    return nvmlSystemGetCudaDriverVersion(version);
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
        *value = u64(NUMBER(fallback));                                                           \
        return NVML_SUCCESS;                                                                      \
    }

#define CHOICE(function, type, last, ...)                                                         \
    nvmlReturn_t function(nvmlDevice_t device, type which, unsigned int *value)                   \
    {                                                                                             \
        static const unsigned int made[] = {__VA_ARGS__};                                         \
        ENTER_CHOICE(#function, (long)which, index_of(device))                                    \
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
TEXT(nvmlDeviceGetName, "%s", model_of(i)->name)
TEXT(nvmlDeviceGetSerial, "16500230%05d", i)
TEXT(nvmlDeviceGetVbiosVersion, "96.00.89.00.%02X", 1)
UNSIGNED(nvmlDeviceGetPowerUsage, 300000 + 1000 * i + 1000 * control_wobble(i, 80))
UNSIGNED(nvmlDeviceGetPowerManagementLimit, 700000)
UNSIGNED(nvmlDeviceGetEnforcedPowerLimit, 700000)
UNSIGNED(nvmlDeviceGetCurrPcieLinkGeneration, model_of(i)->pcie_generation)
UNSIGNED(nvmlDeviceGetMaxPcieLinkGeneration, model_of(i)->pcie_generation)
UNSIGNED(nvmlDeviceGetCurrPcieLinkWidth, 16)
UNSIGNED(nvmlDeviceGetMaxPcieLinkWidth, 16)
MASK(nvmlDeviceGetTotalEnergyConsumption, 1000000ULL * (unsigned long long)(i + 1))
MASK(nvmlDeviceGetSupportedEventTypes, nvmlEventTypeXidCriticalError)
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
    *state = (nvmlPstates_t)u32(NUMBER(0));
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
    int i = index_of(device);
    ENTER("nvmlDeviceGetUtilizationRates", i)
    utilization->gpu = u32(NUMBER(97 - control_wobble(i, 30)));
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
    *temperature = u32(NUMBER(40 + i + control_wobble(i, 9)));
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *temperature)
{
    int i = index_of(device);
    ENTER("nvmlDeviceGetTemperatureV", i)
    if (temperature->version != nvmlTemperature_v1)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    temperature->temperature = (int)u32(NUMBER(50 + i + control_wobble(i, 9)));
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t device, nvmlMarginTemperature_t *margin)
{
    int i = index_of(device);
    ENTER("nvmlDeviceGetMarginTemperature", i)
    if (margin->version != nvmlMarginTemperature_v1)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    margin->marginTemperature = (int)u32(NUMBER(37 - i));
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
    memory->used = u64(NUMBER(used_memory(i) + RESERVED));
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
    memory->used = u64(NUMBER(used_memory(i)));
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
    event_set.registered[index_of(device)] = types;
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
        if (xid->device >= 0 && !(event_set.registered[xid->device] & xid->type))
            continue;
        memset(data, 0, sizeof *data);
        data->device = xid->device < 0 ? NULL : &devices[xid->device];
        data->eventType = xid->type;
        data->eventData = xid->code;
        data->gpuInstanceId = data->computeInstanceId = 0xFFFFFFFF;
        return NVML_SUCCESS;
    }
    return NVML_ERROR_TIMEOUT;
}
