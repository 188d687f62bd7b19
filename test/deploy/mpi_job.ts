// An MPIJob of Kubeflow's MPI operator, version kubeflow.org/v2beta1, as its published types have it. No package holds them.
import type { ObjectMeta } from "kubernetes-types/meta/v1";
import type { PodTemplateSpec } from "kubernetes-types/core/v1";

type ReplicaSpec = {
  readonly replicas?: number;
  readonly template: PodTemplateSpec;
  readonly restartPolicy?: "Never" | "OnFailure" | "Always" | "ExitCode";
};

/** The object. */
export interface MPIJob {
  readonly apiVersion: "kubeflow.org/v2beta1";
  readonly kind: "MPIJob";
  readonly metadata?: ObjectMeta;
  readonly spec: {
    readonly slotsPerWorker?: number;
    readonly runLauncherAsWorker?: boolean;
    readonly runPolicy?: {
      readonly cleanPodPolicy?: "None" | "Running" | "All";
      readonly ttlSecondsAfterFinished?: number;
      readonly activeDeadlineSeconds?: number;
      readonly backoffLimit?: number;
      readonly suspend?: boolean;
    };
    readonly mpiReplicaSpecs: { readonly Launcher: ReplicaSpec; readonly Worker?: ReplicaSpec };
    readonly sshAuthMountPath?: string;
    readonly launcherCreationPolicy?: "AtStartup" | "WaitForWorkersReady";
    readonly mpiImplementation?: "OpenMPI" | "Intel" | "MPICH";
  };
}
