drop index t_c_idx;
reindex table t;
