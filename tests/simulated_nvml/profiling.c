/* GPM: samples that are allocated and must be freed, and metrics of the time between two of them. */
#include "simulated.h"

#include <stddef.h>
#include <stdlib.h>

_Static_assert(sizeof(nvmlGpmMetric_t) == 40, "size of nvmlGpmMetric_t");
_Static_assert(offsetof(nvmlGpmMetric_t, nvmlReturn) == 4, "place of the return code");
_Static_assert(offsetof(nvmlGpmMetric_t, value) == 8, "place of the value");

struct nvmlGpmSample_st {
    int device;
    long instance, turn; /* 0: never taken */
};

static const struct { unsigned int number; double value, per_device; } metrics[] = {
    {NVML_GPM_METRIC_SM_UTIL, 80, 1},
    {NVML_GPM_METRIC_SM_OCCUPANCY, 40, 1},
    {NVML_GPM_METRIC_INTEGER_UTIL, 12, 0},
    {NVML_GPM_METRIC_ANY_TENSOR_UTIL, 55, 0},
    {NVML_GPM_METRIC_DRAM_BW_UTIL, 61, 0},
    {NVML_GPM_METRIC_FP64_UTIL, 0, 0},
    {NVML_GPM_METRIC_FP32_UTIL, 20, 0},
    {NVML_GPM_METRIC_FP16_UTIL, 5, 0},
    {NVML_GPM_METRIC_PCIE_TX_PER_SEC, 100, 0},
    {NVML_GPM_METRIC_PCIE_RX_PER_SEC, 200, 0},
    {NVML_GPM_METRIC_NVLINK_TOTAL_RX_PER_SEC, 300, 0},
    {NVML_GPM_METRIC_NVLINK_TOTAL_TX_PER_SEC, 400, 0},
};

static long alive, turns;

/* Whether the GPU has an instance, and what its counters say: of whoever simulates MIG. */
#pragma weak mig_has_instance
#pragma weak mig_activity
bool mig_has_instance(int device, unsigned int instance);
nvmlReturn_t mig_activity(int device, unsigned int instance, unsigned int metric, double *value);

/* For tests, through ctypes: samples that were allocated and not freed. */
long nvmlSimulatedGpmSamples(void)
{
    return alive;
}

nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t device, nvmlGpmSupport_t *support)
{
    ENTER("nvmlGpmQueryDeviceSupport", index_of(device))
    if (support->version != NVML_GPM_SUPPORT_VERSION)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    support->isSupportedDevice = u32(NUMBER(model_of(index_of(device))->profiles));
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *sample)
{
    ENTER("nvmlGpmSampleAlloc", -1)
    *sample = calloc(1, sizeof **sample);
    alive++;
    return NVML_SUCCESS;
}

/* Needs no driver: the memory is this process's own. */
nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t sample)
{
    if (!sample)
        return NVML_ERROR_INVALID_ARGUMENT;
    free(sample);
    alive--;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t device, nvmlGpmSample_t sample)
{
    ENTER("nvmlGpmSampleGet", index_of(device))
    *sample = (struct nvmlGpmSample_st){index_of(device), -1, ++turns};
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t device, unsigned int instance, nvmlGpmSample_t sample)
{
    ENTER_CHOICE("nvmlGpmMigSampleGet", (long)instance, index_of(device))
    if (!mig_has_instance || !mig_has_instance(index_of(device), instance))
        return NVML_ERROR_INVALID_ARGUMENT;
    *sample = (struct nvmlGpmSample_st){index_of(device), (long)instance, ++turns};
    return NVML_SUCCESS;
}

static void answer_metric(int device, long instance, nvmlGpmMetric_t *asked)
{
    char name[32];
    const struct rule *rule;
    snprintf(name, sizeof name, "gpm:%u", asked->metricId);
    asked->value = -1;
    asked->nvmlReturn = enter(name, device, &rule);
    if (asked->nvmlReturn != NVML_SUCCESS)
        return;
    if (instance >= 0) {
        asked->nvmlReturn =
            mig_activity(device, (unsigned int)instance, asked->metricId, &asked->value);
        return;
    }
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        if (metrics[i].number == asked->metricId) {
            asked->value = NUMBER(metrics[i].value + metrics[i].per_device * device);
            return;
        }
    asked->nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *asked)
{
    const nvmlGpmSample_t first = asked->sample1, second = asked->sample2;
    ENTER("nvmlGpmMetricsGet", second ? second->device : -1)
    if (asked->version != NVML_GPM_METRICS_GET_VERSION)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (!first || !second || !first->turn || first->turn >= second->turn ||
        first->device != second->device || first->instance != second->instance ||
        asked->numMetrics > NVML_GPM_METRIC_MAX)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned int i = 0; i < asked->numMetrics; i++)
        answer_metric(second->device, second->instance, &asked->metrics[i]);
    return NVML_SUCCESS;
}
